// memory_no_exceptions.cpp - AL-92: containers on pools with -fno-exceptions -fno-rtti; an error prints its message and terminates.
#include "tenure_memory.hpp"

#include <cstdlib>
#include <vector>

int main(int argc, char **argv) {
    int wrong = 0;
    tenure::pool pool(tenure::pool_options().name("small").max_size(1 << 20));
    {
        tenure::memory_resource resource(pool), other;
        std::pmr::vector<double> v(100, 1.5, &resource);
        std::vector<int, tenure::allocator<int>> w(100, 7, pool);
        wrong += v[99] != 1.5 || w[99] != 7 || !resource.is_equal(resource) || resource.is_equal(other);
    }
    wrong += tenure::leaks().size() != 1; // the pool's handle
    std::set_terminate([] { std::_Exit(7); });
    if (wrong == 0 && argc > 1 && argv[1][0] == 'l')
        static_cast<void>(tenure::allocator<int>(pool).allocate(static_cast<std::size_t>(-1)));
    else if (wrong == 0)
        static_cast<void>(tenure::allocator<int>(pool).allocate(1 << 20));
    return 1;
}
