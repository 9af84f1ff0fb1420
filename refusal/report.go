package refusal

import (
	"encoding/json"
	"errors"
	"io"
)

// Report is what --check --json writes.
type Report struct {
	Container string `json:"container"`
	Works     bool   `json:"works"`
	Obstacles List   `json:"obstacles"`       // what is in the way
	Error     string `json:"error,omitempty"` // any other reason
	Processes int    `json:"processes,omitempty"`
	Tasks     int    `json:"tasks,omitempty"`
	StoppedNs int64  `json:"stopped_ns,omitempty"` // of a checkpoint: how long the container was stopped for the look
}

// NewReport sorts out an error; nil: it works.
func NewReport(container string, err error) *Report {
	r := &Report{Container: container, Works: err == nil, Obstacles: List{}}
	switch one := (*Refusal)(nil); {
	case err == nil:
	case errors.As(err, &r.Obstacles):
	case errors.As(err, &one):
		r.Obstacles = List{one}
	default:
		r.Error = err.Error()
	}
	return r
}

// Write writes it as JSON, in one line.
func (r *Report) Write(w io.Writer) error { return json.NewEncoder(w).Encode(r) }
