"""From micrographs to reports: what the command line and the web page both call.

A ``finder`` outlines the particles of one image and ``micrograph.analyse_micrograph`` measures them;
``folder.analyse_folder`` does it for many, groups them into samples and writes what each sample is told by.
"""
