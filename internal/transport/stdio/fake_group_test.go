//go:build unix && !linux

package stdio

var systemFakes map[string]func()
