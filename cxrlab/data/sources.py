"""Openly licensed real X-rays that can be downloaded: which they are, whose they are, and where they lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True)
class Collection:
    """Images of one origin and licence, in one state of one public repository.

    Args:
        name: short name, as in the column ``source`` of manifests.
        repository: ``owner/name`` on GitHub; commit: its state, 40 hexadecimal digits.
        licence: SPDX identifier. credit: whom to name. address: of the origin.
        people: ``adult`` or ``child``.
    """

    name: str
    repository: str
    commit: str
    licence: str
    credit: str
    address: str
    people: str


@dataclass(frozen=True)
class RealImage:
    """One image to download. Its size is not known beforehand.

    Args:
        path: inside the repository. sha256: of the file's bytes, hexadecimal.
        label, view: as in manifests.
        part: of the benchmark split: ``test``, which shipped checkpoints have not been trained on, or ``development``,
            which they may have been.
    """

    path: str
    sha256: str
    label: str
    view: str
    collection: Collection
    part: str

    @property
    def url_path(self) -> str:
        """Path of its address on a server of raw files: ``owner/name/commit/path``."""
        return f"{self.collection.repository}/{self.collection.commit}/{self.path}"

    @property
    def suffix(self) -> str:
        """Ending of its file name, with the dot."""
        return PurePosixPath(self.path).suffix


_COHEN = "COVID-19 image data collection (Cohen et al. 2020)"
_COHEN_COPY = ("s-mostafa-a/covid-chestxray-dataset", "173779df5bb2ab06fa1dc7f84ee9a212c759464b")

HANNOVER = Collection(
    "ieee8023",
    *_COHEN_COPY,
    licence="CC-BY-3.0",
    credit=f"Winther et al., Hannover Medical School, COVID-19 Image Repository, 2020, by way of the {_COHEN}",
    address="https://github.com/ml-workgroup/covid-19-image-repository",
    people="adult",
)
TROPMED = Collection(
    "ieee8023",
    *_COHEN_COPY,
    licence="CC-BY-4.0",
    credit=f"Tropical Medicine and Health 48, 2020, doi 10.1186/s41182-020-00203-0, by way of the {_COHEN}",
    address="https://tropmedhealth.biomedcentral.com/articles/10.1186/s41182-020-00203-0",
    people="adult",
)
GUANGZHOU = Collection(
    "kermany",
    "waliatushar/ai-pneumonia-detection",
    "362d6d1be840461d0f26253972ec86bbc8533772",
    licence="CC-BY-4.0",
    credit="Kermany, Zhang, Goldbaum, Labeled OCT and Chest X-Ray Images, 2018, doi 10.17632/rscbjbr9sj.2",
    address="https://doi.org/10.17632/rscbjbr9sj.2",
    people="child",
)

REAL_IMAGES = tuple(
    RealImage(path, sha256, label, view, collection, part)
    for path, sha256, label, view, collection, part in (
        ("images/1052b0fe.jpg",
         "848230ddce7c4dfed70b38dedfb07866321e383b58d72be809559e9b7584b76e", "covid19", "PA", HANNOVER, "test"),
        ("dataset/test/NORMAL/IM-0001-0001.jpeg",
         "69a66f36da73e71a1bc2a2ccda3b34f7ed79b49f3a1152fd8634674133583608", "normal", "AP", GUANGZHOU, "test"),
        ("images/00870a9c.jpg",
         "cbec9e864057f060de6d5770d98b0081720d0c3e51463b48b3d8660faab0bf9e", "covid19", "AP", HANNOVER, "test"),
        ("images/ac4f6e4e.jpg",
         "4d558358be1cbf87eb338454a876f9f8c3f32fa61784f7708d0b60dff4638574", "normal", "PA", HANNOVER, "development"),
        ("images/2cd63b76.jpg",
         "e2e6af144e6d915b7661a323a4e0c75a42534bc5f477308a289af397a60f8426", "covid19", "PA", HANNOVER, "test"),
        ("images/08d780ae.jpg",
         "701d41f6966654830768ae7b7cc75919c10b5b27d5df42a279669bad76e5a55a", "covid19", "AP", HANNOVER, "test"),
        ("dataset/test/NORMAL/IM-0007-0001.jpeg",
         "e9d54a727a3053f1064cb39435a43cc456e7ce6e95f619a20ebe9a9f4605232a", "normal", "AP", GUANGZHOU, "test"),
        ("images/41182_2020_203_Fig3_HTML.jpg",
         "599a26ff3c58951a5b8ef16504e2646588a6e80b5d2267f994ce1d5b523f402a", "covid19", "PA", TROPMED, "test"),
        ("images/8fc103ca.jpg",
         "c23ba22bab48551c6c6188ae535909ddf5345299203757b852134c0b078f590e", "normal", "PA", HANNOVER, "development"),
        ("images/53c9be49.jpg",
         "8355022a63095a0b9f61ad06f72a60987d4e0f3b118ab83a51bc4b41a08a0bea", "covid19", "AP", HANNOVER, "test"),
        ("dataset/test/NORMAL/IM-0010-0001.jpeg",
         "ca11539cb720735e340f7d381828545590e4f71951955b52a8d8da0e859a7fe4", "normal", "AP", GUANGZHOU, "test"),
        ("images/f64132c8.jpg",
         "fa04612bae830f413371ff963ad768c6c358fe92d3c17afdf6b921edbba1e374", "covid19", "PA", HANNOVER, "test"),
    )
)  # fmt: skip
"""12 images: covid19 (adults, benchmark test part) and normal (children, test part; adults, development part: the test
part has no openly licensed normal adult). Their order tells nothing about their class."""
