"""What people and programs meet: C{twistd ha}, C{hatwist}, the control socket, HTTP, the log. Nobody imports these."""
