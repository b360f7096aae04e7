"""What is measured of the particles of a micrograph: each particle, and the sample that they are.

``particles.measure_particles`` makes the table of one micrograph, one row per particle, with the columns of
``columns.py``; tables of several micrographs are joined by ``pandas.concat``. ``outlines`` is the part of it that no
rule and no scale changes, for those who change both under a person's eyes. ``sample`` makes statistics of it,
``uncertainty`` says what they are uncertain by, ``confidence_curve`` what hangs on the model's confidence. Words are
those of ISO 9276-6 (descriptors of shape), ISO 13322-1 (image analysis of still pictures) and ISO 21363 (nanoparticles
by TEM), as far as a formula is theirs; each column says its own.
"""
