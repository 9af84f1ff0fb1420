package cli

// AddHelp adds of the common options only those that tell about the command,
// for one that does no work a log could tell of.
func (t *Tool) AddHelp() {
	o, c := t.Options, &t.Common
	o.BoolVarP(&c.help, "help", "h", false, "show this help (also -?)")
	o.BoolVar(&c.usage, "usage", false, "show a short usage")
	o.BoolVar(&c.version, "version", false, "show the version")
	c.Priority = "ERROR"
}
