"""What a GPU does with this suite, measured within eight minutes: `checks/gpu.sh OUT`.

`__main__` starts one section after the other, each in a process of its own with a limit of time, and writes what they
found to OUT after each. A section is a module with `measure(setting, notes)`. Without a GPU all of them run at tiny
sizes, so that an hour with one goes into measuring.
"""
