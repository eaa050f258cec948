// Boost.Test reports a fault in a test from a handler on its alternate stack, and ends the test.
#define BOOST_TEST_MODULE faults
#include <boost/test/included/unit_test.hpp>
#include <csignal>

BOOST_AUTO_TEST_CASE(reads_null)
{
    BOOST_TEST(*(volatile int *)16 == 0);
}

BOOST_AUTO_TEST_CASE(divides)
{
    std::raise(SIGFPE);
}

BOOST_AUTO_TEST_CASE(aborts)
{
    std::raise(SIGABRT);
}
