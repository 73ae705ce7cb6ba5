NAME = "todo"


def attack(stage):
    return []
