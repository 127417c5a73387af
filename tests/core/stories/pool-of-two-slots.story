# Three tasks share two slots: the third waits until one of the others has ended, with all of its processes.
pool gpu 2
task render pool=gpu
task train pool=gpu
task mail pool=gpu
render will stop in 2s
start
after 100ms expect render running
expect train running
expect mail held "waits for pool gpu: 2 of 2 slots are used by render and train"
expect why mail "It starts as soon as these reasons are gone."
supctl start mail
expect reply "mail: held: waits for pool gpu: 2 of 2 slots are used by render and train"
supctl pool gpu
expect reply "mail    waits for  1"
supctl restart render
after 1s expect mail held "2 of 2 slots are used by render and train"
train exits 1
after 10ms expect train backoff
expect mail running
# A stopping run still has its slot; and what is restarted comes last.
expect render stopping
after 2s expect train running
expect render held "waits for pool gpu: 2 of 2 slots are used by mail and train"
