"""The commands of ``rillet``, one file each, called after the command; what they do lies in ``streams``.

Every file offers ``app``. Heavy modules are imported where they are used, so that ``--help`` stays quick.
"""
