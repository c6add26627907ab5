//go:build unix && !linux

package pglocal

import "syscall"

// dieWithParent can do nothing here; watch does it for the postmaster.
func dieWithParent(*syscall.SysProcAttr, syscall.Signal) {}

func watch(pid int) (release func(), err error) { return watchdog(pid) }
