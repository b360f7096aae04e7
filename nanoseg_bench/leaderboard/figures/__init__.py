"""The paper's figures from records, runs and predictions; each is drawn by one module and says what lies behind it.

| figure | module | from |
|---|---|---|
| Fig. 6, training losses | ``loss`` | ``history.csv`` of the runs |
| Fig. 7, metrics per model | ``bars`` | records |
| Fig. 8, 9, particles of each model | ``overlays`` | prepared set, predictions, records |
| Fig. 10, confusion matrices | ``confusion`` | records |
| Fig. 11, 12, what the networks see | ``maps`` | prepared set, weights |
| precision, recall and F1 curves | ``curves`` | records |
| size distributions | ``sizes`` | records |
| corruptions | ``robustness`` | records |

``gallery`` knows all of them and writes them as files. The maps of figures 11 and 12 come from the room
``explanation``, which this one does not import: the command line hands them in.

matplotlib is loaded by importing any of these modules; none needs a GPU or torch.
"""
