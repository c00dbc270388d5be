"""What this computer has and what a training takes of it: cores, memory, devices, energy."""
