"""The ways of asking a network where it looked, as facts without code."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CamMethod:
    """One class activation method.

    Args:
        name: the word in links and files. title: the name for people. paper: authors, venue, year.
        cost: forwards for one image beyond the prediction, in words.
        class_specific: False where the map is the same for every class.
        runs_model: True where further forwards are needed after the one of the prediction.
    """

    name: str
    title: str
    paper: str
    cost: str = "none"
    class_specific: bool = True
    runs_model: bool = False


CAM_METHODS = {
    method.name: method
    for method in (
        CamMethod("grad_cam", "Grad-CAM", "Selvaraju et al., ICCV 2017"),
        CamMethod("hires_cam", "HiResCAM", "Draelos and Carin, arXiv:2011.08891, 2020"),
        CamMethod("class_weights", "CAM (class weights)", "Zhou et al., CVPR 2016"),
        CamMethod("grad_cam_plus_plus", "Grad-CAM++", "Chattopadhay et al., WACV 2018"),
        CamMethod("layer_cam", "LayerCAM", "Jiang et al., IEEE Transactions on Image Processing 2021"),
        CamMethod("eigen_cam", "EigenCAM", "Muhammad and Yeasin, IJCNN 2020", class_specific=False),
        CamMethod("score_cam", "ScoreCAM", "Wang et al., CVPR Workshops 2020", cost="one a channel", runs_model=True),
    )
}


def cam_method(name: str) -> CamMethod:
    """A method by name. Raises ValueError naming those there are."""
    if name not in CAM_METHODS:
        raise ValueError(f"Unknown CAM method {name!r}; choose one of {', '.join(CAM_METHODS)}.")
    return CAM_METHODS[name]
