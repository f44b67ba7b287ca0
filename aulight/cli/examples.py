"""Two calls of each command, for its help: what people do with it most."""

EXAMPLES = {
    "prepare": (
        ("data.source=~/videos data.name=mine", "a folder of videos, each of one person, to data/mine"),
        ("data=disfa data.source=~/DISFA", "the dataset DISFA as it is handed out"),
    ),
    "sample": (
        ("data.name=mine label_count=300 output=to_label", "draws 300 frames to code, with a table to fill in"),
        ("data.name=mine label_count=500 output=more min_distance_s=1", "500, no two of them within a second"),
    ),
    "label": (
        ("data.name=mine label_count=300 'aus=[1,2,4,6,12]'", "draws frames, and opens the page to code five AUs"),
        ("sample=to_label coder=anna 'coders=[anna,ben]'", "codes Anna's share of frames that were drawn before"),
    ),
    "agreement": (
        ("sample=to_label", "how well the coders of a sample agree"),
        ("sample=to_label weights=linear worst=50", "with other weights, and the 50 worst frames"),
    ),
    "pretrain": (
        ("data=folder data.name=mine", "stage one on your own videos, without labels"),
        ("experiment=smoke", "a run of minutes on drawn faces, to see that all is well"),
    ),
    "finetune": (
        (
            "data=folder data.name=mine pretrained=runs/pretrain/mine",
            "stage two on top of stage one",
        ),
        ("experiment=smoke start=scratch -m", "all runs of an experiment without stage one"),
    ),
    "report": (
        ("runs=runs/finetune", "tables and figures from the runs in a folder"),
        ("runs=runs/reproduce output=report", "of what `make reproduce` made, into a folder of your own"),
    ),
    "predict": (
        ("clip.mp4 overlay=true plot=true", "scores a video; draws the numbers beside the face, and over time"),
        ("'videos/**/*.mp4' model=model.aulight output=scored rate=5", "many, by a model, five frames a second"),
    ),
    "export": (
        ("run=runs/finetune/mine output=model.aulight", "the model of a finished run as one file"),
        ("run=model.aulight format=onnx output=model.onnx", "as a graph that other programs can run"),
    ),
    "dashboard": (
        ("entity=my-team", "a workspace for the runs of your team"),
        ("project=pain 'aus=[4,6,9]'", "of another project, with three AUs"),
    ),
}
"""Command to what is typed after it, and what that does."""
