"""The table that is printed, row by row."""


class Table:
    def __init__(self):
        self.failures = 0

    def row(self, client, via, check, result, detail=""):
        print(f"{client:<16} {via:<8} {check:<22} {result:<8} {detail}", flush=True)
        self.failures += result == "FAILED"
