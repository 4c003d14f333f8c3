"""Which evaluation the Evaluate page shows: the one just computed, or a stored one named in the link."""

from __future__ import annotations

import streamlit as st

from cxrlab.app import demo, work
from cxrlab.app.evaluation_inputs import EvaluationRequest
from cxrlab.workflows.evaluate import Evaluation
from cxrlab.workflows.labelled_sources import PHANTOM_SET_NAME
from cxrlab.workflows.stored_results import (
    RunError,
    StoredSet,
    delete_set,
    is_stored,
    open_set,
    set_id,
    stored_sets,
)

KEY = "evaluate"
LINK = "result"  # of a stored set, in the URL
_SHOWN, _SHOWN_ID = "evaluate:shown", "evaluate:shown id"


def begin(request: EvaluationRequest) -> None:
    """Start measuring in the background; what was shown goes."""
    close()
    work.start(
        KEY,
        lambda progress, cancel: request.source.evaluate(
            request.checkpoints,
            part=request.part,
            task=request.task,
            device=request.device,
            store=request.store,
            progress=progress,
            cancel=cancel,
        ),
        name="The evaluation",
    )


def take_result() -> None:
    """Show what the background work has finished; a stored result is named in the link from now on."""
    running = work.current(KEY)
    if running and running.state == "finished":
        evaluation: Evaluation = running.result
        work.forget(KEY)
        _show(evaluation, set_id(evaluation) if is_stored(evaluation) else "")


def shown() -> Evaluation | None:
    """The evaluation on the page; one that the link names is opened, and a link to nothing is said in a sentence."""
    asked = st.query_params.get(LINK, "")
    if asked and asked != st.session_state.get(_SHOWN_ID):
        open_stored(asked)
    elif not asked and st.session_state.get(_SHOWN_ID):
        st.query_params[LINK] = st.session_state[_SHOWN_ID]  # back from another page
    return st.session_state.get(_SHOWN)


def open_stored(id_: str, checkpoints: tuple[str, ...] = ()) -> None:
    """Show a stored set without computing anything; a sentence on the page when it can not be opened."""
    work.forget(KEY)
    try:
        if id_ not in {each.id for each in listed_sets()}:
            raise RunError("There are no stored results under this link any more; evaluate again.")
        _show(open_set(id_, checkpoints), id_)
    except RunError as error:
        close()
        st.warning(str(error), icon=":material/history:")


def delete_stored(id_: str) -> None:
    """Remove a stored set, and from the page if it is shown."""
    delete_set(id_)
    if st.session_state.get(_SHOWN_ID) == id_:
        close()


def close() -> None:
    """Show nothing."""
    for key in (_SHOWN, _SHOWN_ID):
        st.session_state.pop(key, None)
    st.query_params.pop(LINK, None)


def listed_sets() -> tuple[StoredSet, ...]:
    """Stored sets that may be seen here: in demo mode those of the bundled phantom only."""
    return tuple(each for each in stored_sets() if not demo.is_demo() or each.dataset == PHANTOM_SET_NAME)


def _show(evaluation: Evaluation, id_: str) -> None:
    st.session_state[_SHOWN] = evaluation
    st.session_state[_SHOWN_ID] = id_
    if id_:
        st.query_params[LINK] = id_
    else:
        st.query_params.pop(LINK, None)
