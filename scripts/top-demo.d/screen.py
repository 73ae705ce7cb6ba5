"""Runs a program on a terminal of its own for a while, and keeps what is on the screen by then.

Usage: screen.py ROWS COLUMNS SECONDS OUTPUT-FILE PROGRAM ARGUMENT...

The output is JSON: for each row its runs of characters of one style, as [style, text]. Of what a terminal obeys only
that is understood here which the program writes: moves of the cursor, erasing, and styles.
"""

import fcntl
import json
import os
import pty
import re
import select
import struct
import sys
import termios
import time

rows, columns, seconds, output_file, *program = sys.argv[1:]
rows, columns, seconds = int(rows), int(columns), float(seconds)
SEQUENCE = re.compile(rb"\x1b\[([?0-9;]*)([A-Za-z])")


class Screen:
    def __init__(self):
        self.cells = [[("", " ")] * columns for _ in range(rows)]
        self.row = self.column = 0
        self.style = set()

    def obey(self, parameters, final):
        numbers = [int(number or 0) for number in parameters.split(";")] if not parameters.startswith("?") else []
        if final == "H":
            self.row, self.column = (numbers + [1, 1])[0] - 1, (numbers + [1, 1])[1] - 1 if len(numbers) > 1 else 0
            self.row = max(self.row, 0)
        elif final == "J":
            self.cells = [[("", " ")] * columns for _ in range(rows)]
        elif final == "m":
            for number in numbers:
                names = {1: "bold", 2: "dim", 7: "reversed", 31: "red", 91: "red"}
                if number == 0:
                    self.style.clear()
                elif number in names:
                    self.style.add(names[number])
                elif number == 22:
                    self.style -= {"bold", "dim"}
                elif number == 27:
                    self.style.discard("reversed")
                elif number == 39:
                    self.style.discard("red")

    def put(self, character):
        if character == "\r":
            self.column = 0
        elif character == "\n":
            self.row = min(self.row + 1, rows - 1)
        elif character >= " " and self.row < rows and self.column < columns:
            self.cells[self.row][self.column] = (" ".join(sorted(self.style)), character)
            self.column += 1

    def runs(self):
        for row in self.cells:
            runs = []
            for style, character in row:
                if runs and runs[-1][0] == style:
                    runs[-1][1] += character
                else:
                    runs.append([style, character])
            yield runs


def feed(screen, data):
    at = 0
    for found in SEQUENCE.finditer(data):
        for character in data[at : found.start()].decode(errors="replace"):
            screen.put(character)
        screen.obey(found[1].decode(), found[2].decode())
        at = found.end()
    for character in data[at:].decode(errors="replace"):
        screen.put(character)


pid, terminal = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    os.environ["TERM"] = "xterm-256color"
    os.execv(program[0], program)
data, until = b"", time.monotonic() + seconds
while (left := until - time.monotonic()) > 0:
    if select.select([terminal], [], [], left)[0]:
        data += os.read(terminal, 65536)
os.write(terminal, b"q")
os.waitpid(pid, 0)
screen = Screen()
feed(screen, data)
with open(output_file, "w") as output:
    json.dump(list(screen.runs()), output)
