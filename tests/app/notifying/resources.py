from infra.resources import add_data_resources, add_service_resources

__all__ = ["add_data_resources", "add_service_resources"]
