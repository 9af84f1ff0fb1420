package tasks

// threadAreas are of amd64 only.
func threadAreas(int) ([][]byte, error) { return nil, nil }

const sysArchPrctl = -1
