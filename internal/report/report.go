// Package report owns how reports look: workbooks and pages to be printed on A4,
// in Chinese, with definitions and a line for the signature. The same figures
// give the same bytes; what they are is decided elsewhere.
package report
