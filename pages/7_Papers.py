"""What five papers printed beside what the same systems reach here, and whether the papers' claims hold."""

from cxrlab.app import frame, papers_claims, papers_tables
from cxrlab.app.demo import is_demo
from cxrlab.workflows.papers import studies_here

frame.open_page(
    "Papers",
    lead="The printed tables of five papers on COVID-19 in chest X-rays, beside runs of the same systems made here, "
    "and whether the papers' claims hold in them.",
)

here = studies_here(own=not is_demo())
papers_claims.damaged_list(here.damaged)
if not here.studies:
    papers_claims.no_runs()

paper = papers_tables.pick_paper()
papers_tables.printed_tables(paper, here.studies)
papers_tables.other_figures(paper)
papers_claims.claims(paper, here.studies)
papers_claims.study_list(here.studies)
