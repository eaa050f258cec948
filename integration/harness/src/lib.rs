//! Builds the test programs and runs them with and without `libsigward.so`.
