"""RMM, and with it cuDF and the other RAPIDS libraries, allocates from a pool with a limit."""

import rmm
import tenure
import tenure.rmm

pool = tenure.Pool("cuda", name="RAPIDS", max_size=64 << 20)
rmm.mr.set_current_device_resource(tenure.rmm.resource(pool))

buffer = rmm.DeviceBuffer(size=1_000_000)
tenure.report()
print("RMM holds", pool.clients()[0].live_blocks, "block of", pool.name)
