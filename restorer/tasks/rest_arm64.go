package tasks

const sysPoll int64 = -1 // arm64 has only ppoll
