# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The table of frontends as it lies in memory (bpf/abi/frontend.h), for whoever is where its pin is.

frontends.py PIN list: key and contents of each line that is live, in hexadecimal.
frontends.py PIN spoil: the first of them is not live any more, as if a stranger had written there.
"""
import mmap
import sys

import bpf

LINE, KEY, WORD, CONTENTS = 64, 20, 20, 32
LIVE = 1


def live_lines(memory):
    return [at for at in range(0, len(memory), LINE) if memory[at + WORD] & LIVE]


def main(pin, command):
    fd = bpf.obj_get(pin)
    memory = mmap.mmap(fd, bpf.map_size(fd))
    if command == "list":
        for at in live_lines(memory):
            print(memory[at:at + KEY].hex(), memory[at + CONTENTS:at + LINE].hex())
    elif command == "spoil":
        memory[live_lines(memory)[0] + WORD] &= ~LIVE


if __name__ == "__main__":
    main(*sys.argv[1:])
