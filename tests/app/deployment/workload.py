from infra.workload import WORKLOAD

__all__ = ["WORKLOAD"]
