"""What twistd and twist find: the command "ha"."""

from twisted.application.service import ServiceMaker

ha = ServiceMaker(
    "hatwist", "hatwist.frontends.launch", "Keep shared addresses on one of several hosts.", "ha"
)
