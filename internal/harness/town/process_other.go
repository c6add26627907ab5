//go:build !linux

package town

import "syscall"

// dieWithParent: only Linux offers it; elsewhere the town ends its members, and
// a killed town leaves them.
func dieWithParent(*syscall.SysProcAttr) {}
