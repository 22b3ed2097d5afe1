"""Storage: the files of the service, and the bucket on another origin that stores their bytes."""

from .bucket import Bucket
from .files import Files
from .server import BucketServer

__all__ = ["Bucket", "BucketServer", "Files"]
