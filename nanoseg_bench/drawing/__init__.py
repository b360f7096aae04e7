"""Drawing: particles and ignore regions as outlines, scale bars, colours, and what all charts have in common.

``outlines`` says what is drawn, in pixels of the micrograph; one module for each medium draws it:

| module | gives | for |
|---|---|---|
| ``picture`` | (h, w, 3) uint8 | PNG files and pictures inside pages, at any resolution |
| ``svg`` | SVG | pictures that stay sharp, and lines over a picture on a page |
| ``axes`` | artists of matplotlib | figures with several panels, for print |

``charts`` is the style of every chart. OpenCV is loaded by ``picture`` alone, matplotlib by ``axes`` and ``charts``.
"""
