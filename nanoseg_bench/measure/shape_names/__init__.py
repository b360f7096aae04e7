"""What a particle's outline looks like: sphere, rod, cube, triangle, pentagon, or other.

``namer`` names an outline by its ``descriptors``, from the numbers in ``namer.json``; of a ragged one by those of its
``main_part``. ``training`` fitted these to
``silhouettes`` of nanosynth's solids in many ``forms``, and to no real outline. A name is of the silhouette: a cube
that stands on its corner is a hexagon, and a plate that is round is called a sphere.
``tests/benchmarks/bench_shape_names.py`` prints how often names are right, on rendered and on real outlines.
"""
