package sys

// ModifyLDT is -1: this CPU has no segments.
var ModifyLDT = -1
