"""Small optimisation problems in plain tensor code: on the device, without asking the host."""
