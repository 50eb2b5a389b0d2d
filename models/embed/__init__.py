"""The embedding model: users and items as vectors of one space, learned online. Snapshots are the streams' business."""
