"""Why a user sees what they see: asked of a worker over HTTP, or of a log, and told in words."""
