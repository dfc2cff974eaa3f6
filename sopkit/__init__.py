"""sopkit: the monthly Sales & Operations Planning cycle as six notebooks over one small package."""

__version__ = "0.1.0"
