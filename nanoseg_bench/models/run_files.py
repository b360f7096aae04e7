"""Names of the files that a training leaves in the folder of its run; ``runs.folder`` says what lies in the others."""

RUN_FILE = "run.json"
FIT_FILE = "fit.json"
STATE_FILE = "state.pt"
WEIGHTS_FILE = "weights.safetensors"
WEIGHTS_ABOUT_FILE = "weights.json"
HISTORY_FILE = "history.csv"
