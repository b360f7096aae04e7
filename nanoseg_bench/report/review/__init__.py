"""What a person decides about analysed micrographs, and what follows from it: numbers, charts, files.

Everything is a function of an ``AnalysedMicrograph`` as the model left it and of the person's words, so that undo is
another call, and no edit is lost by a filter. In this order: ``edits.apply_edits``, ``scale.rescale``,
``filters.apply_filters``; of the first two ``view.detail_of`` tells one micrograph, and of all three
``view.statistics_of`` and ``export.export`` tell a sample. Nothing is computed here that ``measure`` computes, and the
model is never asked again.
"""
