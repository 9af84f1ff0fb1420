package sys

// XsaveComponent is where a state component lies in an xsave area in the
// standard form.
type XsaveComponent struct {
	Number, Offset, Size uint32 // bit of XsaveMask; bytes
}
