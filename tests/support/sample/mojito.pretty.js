/*! A sample container in Mojito's shape, made for the tests of mojito-publish. */
if (!window.Mojito || !Mojito.testObjects || !Object.keys(Mojito.testObjects).length) {
    Mojito = (function () {
        var testObjects = {};

        function Test(options) {
            this.options = options;
            this.recipes = Object.keys(options.recipes);
            if (this.recipes.length < 2) throw new Error('A test needs at least 2 recipes.');
            try {
                options.trigger(this);
            } catch (error) {
                window.console && console.error('trigger of ' + options.id + ' failed', error);
            }
        }

        Test.prototype.activate = function () {
            var chosen = this.options.divertTo || this.recipes[Math.floor(Math.random() * this.recipes.length)],
                recipe = this.options.recipes[chosen];
            if (recipe.css) {
                var style = document.createElement('style');
                style.appendChild(document.createTextNode(recipe.css));
                document.head.appendChild(style);
            }
            recipe.js && recipe.js(this);
        };

        return {
            testObjects: testObjects,
            options: { cookiePrefix: '_mojito', excluded: !navigator.cookieEnabled },
            addTest: function (options) {
                testObjects[options.id] = new Test(options);
                return testObjects[options.id];
            }
        };
    })();

    Mojito.buildInfo = {"container":"CONTAINER","mojitoVersion":"2.7.1","commitHash":"1f2e3d4c5b6a","size":{"total":2048,"experiments":{"w1":512,"w2":640}},"timestamp":"2026-11-24T05:00:00.000Z"};

    Mojito.addTest({
        "state": "live",
        "sampleRate": 0.5,
        "id": "w1",
        "name": "W1 Größere Schaltfläche",
        "recipes": {
            "0": { "name": "Control" },
            "1": { "name": "Treatment", "css": ".buy{font-size:20px}" }
        },
        "trigger": function (test) {
            if (document.location.pathname === '/') test.activate();
        }
    });

    Mojito.addTest({
        "state": "staging",
        "sampleRate": 1,
        "id": "w2",
        "name": "W2 Headline",
        "recipes": {
            "0": { "name": "Control" },
            "1": {
                "name": "Treatment",
                "js": function (test) {
                    document.querySelector('h1').textContent = 'Guten Tag';
                }
            }
        },
        "trigger": function (test) {
            test.activate();
        }
    });
}
