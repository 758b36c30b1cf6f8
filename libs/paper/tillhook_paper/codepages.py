"""The code pages of receipt printers."""

#: Python's names of the code pages, by the names that the profiles of printers have.
CODE_PAGES = {
    "CP437": "cp437",
    "CP737": "cp737",
    "CP775": "cp775",
    "CP850": "cp850",
    "CP852": "cp852",
    "CP855": "cp855",
    "CP857": "cp857",
    "CP858": "cp858",
    "CP860": "cp860",
    "CP861": "cp861",
    "CP863": "cp863",
    "CP865": "cp865",
    "CP866": "cp866",
    "CP1250": "cp1250",
    "CP1251": "cp1251",
    "CP1252": "cp1252",
    "CP1253": "cp1253",
    "CP1254": "cp1254",
    "CP1257": "cp1257",
}
