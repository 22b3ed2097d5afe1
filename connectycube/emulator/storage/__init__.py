"""Storage: files as the service knows them, and the bucket on another origin that has their bytes."""

from .bucket import Bucket
from .files import Files
from .server import BucketServer

__all__ = ["Bucket", "BucketServer", "Files"]
