// Package model x
package model
