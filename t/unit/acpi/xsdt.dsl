
[000h 0000   4]                    Signature : "XSDT"    [Extended System Description Table]
[004h 0004   4]                 Table Length : 0000003C
[008h 0008   1]                     Revision : 01
[009h 0009   1]                     Checksum : 8F
[00Ah 0010   6]                       Oem ID : "VMMD  "
[010h 0016   8]                 Oem Table ID : "VMMD    "
[018h 0024   4]                 Oem Revision : 00000001
[01Ch 0028   4]              Asl Compiler ID : "VMMD"
[020h 0032   4]        Asl Compiler Revision : 00000001

[024h 0036   8]       ACPI Table Address   0 : 00000000000E0290
[02Ch 0044   8]       ACPI Table Address   1 : 00000000000E03B0
[034h 0052   8]       ACPI Table Address   2 : 00000000000E0420

Raw Table Data: Length 60 (0x3C)

    0000: 58 53 44 54 3C 00 00 00 01 8F 56 4D 4D 44 20 20  // XSDT<.....VMMD  
    0010: 56 4D 4D 44 20 20 20 20 01 00 00 00 56 4D 4D 44  // VMMD    ....VMMD
    0020: 01 00 00 00 90 02 0E 00 00 00 00 00 B0 03 0E 00  // ................
    0030: 00 00 00 00 20 04 0E 00 00 00 00 00              // .... .......
