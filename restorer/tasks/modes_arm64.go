package tasks

const (
	sysArchPrctl  = -1
	setThreadArea = -1 // no such request: EIO
)
