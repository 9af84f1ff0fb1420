package tasks

const sysPoll = -1 // arm64 has only ppoll, which writes down what remains
