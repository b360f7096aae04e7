"""From micrographs to reports: what the command line and the web page both call.

``micrograph.analyse_micrograph`` finds and measures the particles of one image; ``folder.analyse_folder`` does it for
many, groups them into samples and writes what each sample is told by.
"""
