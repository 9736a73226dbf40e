"""What should happen?  Schedules, meshes and cuts as pure data; standard library only."""
