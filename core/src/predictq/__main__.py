"""`python -m predictq`: how a supervisor starts its children."""

from predictq.cli.main import main
from predictq.supervisor import die_with_supervisor

die_with_supervisor()
main()
