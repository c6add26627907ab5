package pglocal

import "syscall"

// dieWithParent has the kernel signal the process when the thread that starts
// it ends (prctl(2), PR_SET_PDEATHSIG), which launch keeps for that long.
func dieWithParent(a *syscall.SysProcAttr, sig syscall.Signal) { a.Pdeathsig = sig }

// watch has nothing to do here: the kernel watches.
func watch(int) (release func(), err error) { return func() {}, nil }
